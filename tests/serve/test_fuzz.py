"""Requests made up from the server's own description; each gets an answer that it promises."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serve.echo import served
from tests.serve.running import running


@pytest.fixture(scope="module")
def description():
    with running([served()]) as client:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{client.port}/openapi.json")
        assert client.predict({"instances": ["a"]}) == (200, {"predictions": [1]})


pytestmark = pytest.mark.slow
schema = schemathesis.pytest.from_fixture("description")


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
def test_every_request_gets_an_answer_that_is_promised(case):
    answer = case.call(timeout=20)
    assert answer.status_code < 500
    # What fits the description may still not fit the model.
    case.validate_response(answer, excluded_checks=[positive_data_acceptance])
    if answer.status_code >= 400:
        assert answer.json().keys() == {"error"}
        assert "\n" not in answer.json()["error"]
