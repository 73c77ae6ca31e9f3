"""Requests made up from the server's own description; each gets an answer that it promises."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serve.echo import served
from tests.serve.running import running

EXAMPLES = 40


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_every_request_gets_an_answer_that_is_promised(mode):
    with running([served()]) as client:
        address = f"http://127.0.0.1:{client.port}/openapi.json"
        described = schemathesis.openapi.from_url(address).get_all_operations()
        operations = [each.ok() for each in described]
        assert len(operations) >= 8
        for operation in operations:
            if mode == "NEGATIVE" and operation.method.upper() != "POST":
                continue  # Of the others nothing but the path could be wrong.
            _try_out(operation, schemathesis.GenerationMode[mode])
        assert client.predict({"instances": ["a"]}) == (200, {"predictions": [1]})


def _try_out(operation, mode):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck])
    @given(operation.as_strategy(generation_mode=mode))
    def check(case):
        answer = case.call(timeout=20)
        assert answer.status_code < 500
        # What fits the description may still not fit the model.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])
        if answer.status_code >= 400:
            assert answer.json().keys() == {"error"}
            assert "\n" not in answer.json()["error"]

    check()
