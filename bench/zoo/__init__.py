"""A zoo that can tell: healthy trainings and planted diseases, defined by how they train, before any rule sees them.

**Trains well.** For every task a reference is measured on the task's own split: the better of two plain scikit-learn
models (logistic regression or ridge, and a random forest), principal components of the same size for an autoencoder, a
table of counts for text, and a perfect score for sequences that a rule without noise makes. The score is accuracy, or
the share of variance explained, on held-out samples. Its skill is

    skill = (score - chance) / (reference - chance),

where chance is the score of the best constant answer. A run trains well when the skill after its own budget is at least

    0.9 for classes, 0.8 for numbers and for sequences,

in each of the seeds 1, 2 and 3. Special families keep the same criterion, with one sentence more:

- noisy labels: the reference was fitted to the same noisy labels; held-out labels are clean.
- frozen: the frozen weights are the same bits at the end.
- converged: the criterion holds before the watched training (the run trains first, unwatched), and at its end.

**Is sick.** The network with the planted fault misses the criterion in at least two of the three seeds, and its cured
twin, which differs in nothing but the fault, meets it in all three.

Both are measured by plain training, without unvanish, and kept in `measured.json` with the versions. A run that does
not meet its definition is not in the zoo: it is replaced, and the criterion stays.

**What is accepted.** For each disease the word of its root cause, and the words that would not be wrong, follow from
its construction. It is flagged when an error is found; where its rules only warn, when one of its codes is found.

**Two halves.** Half of the runs, chosen by a hash of the name (`case.half`), may be used to set thresholds; the other
half may not. Recordings of all runs are in `recorded/`, so that every rule can be replayed over them in seconds.

    python bench/zoo.py measure | record | judge
"""
