"""The words of a report, each in one sentence."""

from __future__ import annotations

GLOSSARY = (
    (
        "1 - c",
        "How far two different samples still differ in a layer: c is their correlation there. At 0 the network no "
        "longer sees its input.",
    ),
    (
        "Adam epsilon share",
        "Epsilon over (epsilon + gradient RMS): how much of the denominator is the constant. Near 1, Adam no longer "
        "divides the gradient's size out, and small gradients make small steps.",
    ),
    ("chance", "Loss of the best constant guess on these labels: what a network reaches that sees no input."),
    ("dead unit", "A unit whose output is zero on every sample of every probed batch: no gradient passes it."),
    (
        "first/last",
        "Gradient norm of the first kernel over the output kernel's. It holds the step into the output layer and the "
        "sizes of both kernels as well, so it is not the factor per layer to the power of the depth.",
    ),
    (
        "forecast",
        "What mean-field theory expects from architecture and weights alone, averaged over initialisations; its band "
        "is what one initialisation may differ by.",
    ),
    ("gain", "sqrt(fan-in x mean square of the weights): the factor by which a layer scales a random signal."),
    (
        "gradient RMS",
        "Root mean square over the entries of the gradient of the batch-mean loss: raw, before clipping. Unlike the "
        "norm it can be compared between layers of different size.",
    ),
    (
        "horizon",
        "Of a recurrent layer: the steps back in time until less than 3 % (10^-1.5) of the gradient at the last step "
        "is left. What lies further back can hardly teach.",
    ),
    (
        "layers",
        "In counts and depths: the layers with a kernel (dense, convolution, recurrent), the output layer included. "
        "Embeddings, normalisations and activations are not counted; a stack of recurrent layers in one PyTorch module "
        "counts once, and its parts are told apart as 1/2, 2/2 where the gradient through time is shown.",
    ),
    ("movement", "Distance of the weights from where they started, relative to their size then: |W - W0| / |W0|."),
    (
        "no path",
        "Of weights: automatic differentiation found no way from the loss to them. Another thing than a gradient of "
        "zero, and than a frozen weight.",
    ),
    (
        "per layer",
        "Factor by which the gradient RMS changes from one hidden layer to the next towards the input: the slope of a "
        "robust line through all of them. 1.0 is neutral.",
    ),
    (
        "saturated",
        "Of a unit on a sample: the activation's slope there is below 1 % of its largest: almost no gradient passes.",
    ),
    ("signal q", "Mean square of what enters a layer's activation."),
    (
        "transmission",
        "Gradient that leaves a layer over the gradient that reaches it, on the way back. Over many layers the factors "
        "multiply: 0.24 in each of 11 layers leaves 0.00000015.",
    ),
    (
        "update/weight",
        "Norm of one optimizer step over the norm of the weights. About 1e-3 is usual; 1e-6 would need a million steps "
        "to change a weight by its own size.",
    ),
    ("undecided", "The rule could not look, or could not tell. It is never counted as healthy."),
)

OF_CURES = (
    (
        "arm",
        "All trainings with one change, or with none: the same seeds, batches and steps for each of them, at one "
        "learning rate, which is the user's own for the network as it is.",
    ),
    (
        "how invasive",
        "Initialisation only: the function that the network can compute stays the same. One word, one line: what is "
        "typed. Architecture: layers or branches are added.",
    ),
    (
        "p",
        "How often a useless change would look at least as good over these seeds: one-sided paired t test. "
        "From where on it counts is said below the table.",
    ),
    ("score", "Held-out accuracy after the last step; where there is none, the held-out loss."),
    ("stuck", "Of a seed: the training loss did not fall by more than it varies from batch to batch."),
)
"""The words that the report of a cure adds."""
