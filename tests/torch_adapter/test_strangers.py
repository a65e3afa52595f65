"""Networks of strangers, from installed packages, with random weights: no crash, and every parameter accounted for."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
monai_nets = pytest.importorskip("monai.networks.nets")
mixer = pytest.importorskip("mlp_mixer_pytorch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import unvanish  # noqa: E402

SAMPLES, CLASSES, WORDS, LENGTH = 64, 3, 50, 12


def images(channels=3, size=32):
    g = torch.Generator().manual_seed(0)
    y = torch.arange(SAMPLES) % CLASSES
    return torch.randn(SAMPLES, channels, size, size, generator=g) + y[:, None, None, None], y


def tokens():
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(3, WORDS, (SAMPLES, LENGTH), generator=g)
    return ids, ids[:, 0] % CLASSES


def of_logits(output, target):
    return functional.cross_entropy(output.logits, target)


def next_word(output, target):
    return functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())


def resnet():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=CLASSES)
    return transformers.ResNetForImageClassification(config), *images(), of_logits


def vgg_without_batch_norm():
    parts, channels = [], 3
    for width in (8, 8, 16, 16):
        parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(64, CLASSES)), *images(), functional.cross_entropy


def densenet():
    net = monai_nets.DenseNet(2, 3, CLASSES, init_features=8, growth_rate=4, block_config=(2, 2), bn_size=2)
    return net, *images(), functional.cross_entropy


def mlp_mixer():
    net = mixer.MLPMixer(image_size=32, channels=3, patch_size=8, dim=16, depth=3, num_classes=CLASSES)
    return net, *images(), functional.cross_entropy


def vit():
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    config.num_labels = CLASSES
    return transformers.ViTForImageClassification(config), *images(), of_logits


def convnext():
    config = transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, num_labels=CLASSES)
    return transformers.ConvNextForImageClassification(config), *images(), of_logits


def bert():
    config = transformers.BertConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    config.num_labels = CLASSES
    return transformers.BertForSequenceClassification(config), *tokens(), of_logits


def gpt2():
    config = transformers.GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    ids, _ = tokens()
    return transformers.GPT2LMHeadModel(config), ids, ids, next_word


def t5():
    class Pairs(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, ids):
            return self.inner(input_ids=ids, decoder_input_ids=ids)

    config = transformers.T5Config(
        vocab_size=WORDS, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    ids, _ = tokens()
    return Pairs(transformers.T5ForConditionalGeneration(config)), ids, ids, next_word


def llama():
    config = transformers.LlamaConfig(
        vocab_size=WORDS, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    ids, _ = tokens()
    return transformers.LlamaForCausalLM(config), ids, ids, next_word


def lstm_tagger():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(WORDS, 16)
            self.lstm = nn.LSTM(16, 16, num_layers=2, bidirectional=True, batch_first=True)
            self.tags = nn.Linear(32, CLASSES)

        def forward(self, ids):
            return self.tags(self.lstm(self.words(ids))[0]).flatten(0, 1)

    ids, _ = tokens()
    return Tagger(), ids, ids % CLASSES, lambda output, target: functional.cross_entropy(output, target.flatten())


def unet():
    net = monai_nets.UNet(spatial_dims=2, in_channels=3, out_channels=1, channels=(4, 8, 16), strides=(2, 2))
    x, _ = images()
    return net, x, (x[:, :1] > 0).float(), functional.binary_cross_entropy_with_logits


STRANGERS = (
    bert, convnext, densenet, gpt2, llama, lstm_tagger, mlp_mixer, resnet, t5, unet, vgg_without_batch_norm, vit,
)  # fmt: skip


@pytest.fixture(scope="module", params=STRANGERS, ids=lambda build: build.__name__)
def checked(request):
    torch.manual_seed(0)
    model, x, y, loss = request.param()
    return model, unvanish.check(model, x, y, loss=loss, steps=10, batch_size=16)


def test_it_is_not_called_sick(checked):
    _, diagnosis = checked
    assert diagnosis.verdict in ("healthy", "undecided"), str(diagnosis)


def test_every_parameter_is_accounted_for(checked):
    model, diagnosis = checked
    assert [p.name for p in diagnosis.network.parameters] == [
        name for name, _ in model.named_parameters(remove_duplicate=False)
    ]
    assert sum(p.size for p in diagnosis.network.parameters if p.tied_to is None) == sum(
        p.numel() for p in model.parameters()
    )
    layers = {layer.name for layer in diagnosis.network.layers}
    homeless = [p.name for p in diagnosis.network.parameters if p.layer not in layers]
    assert all(any(name in line for line in diagnosis.observation.not_checked) for name in homeless), homeless


def test_what_is_not_modelled_is_named(checked):
    _, diagnosis = checked
    named = "\n".join(diagnosis.observation.not_checked)
    assert [name for name in diagnosis.network.not_modelled if name not in named] == []
