"""BiViT: the attention map, the order of binarization, the context's window."""

from bnnjax.evidence.experiment import Claim, Experiment, Row

CONFIG = "configs/fashion_mnist_vit.py:images=50000"
STUDENT = f"{CONFIG},method=bivit,teacher={{float}},epochs=2"
FLOAT_RATES = (1e-3, 3e-3, 9e-3)
RATES = (2e-3, 5e-3, 1.2e-2)

EXPERIMENT = Experiment(
  title="BiViT: map, order, window (50,000 training images)",
  paper="BiViT, He et al., ICCV 2023, arXiv:2211.07091",
  claim=(
    "Softmax-aware binarization of the attention map is more accurate than"
    " BiBERT's Bi-Attention, which is more accurate than a map of ones"
  ),
  caveat=(
    "Every 1-bit transformer of this page is less accurate than a linear model"
    " of 7,840 weights: at this size the page compares attention maps, it does not"
    " recommend any."
  ),
  setting=(
    "A vision transformer of 3 blocks of width 64 (2 heads, patches of 7 x 7) on"
    " Fashion-MNIST. AdamW (decay 0.05), cosine schedule, batches of 32. The"
    " float network trains for 2 epochs; every student starts from the float"
    " network of its seed and learns from its soft labels for 2 epochs, so the"
    " float row of 4 epochs has the same total. Students are W1A1 in attention"
    " and MLP, unless the row says otherwise; the sign of the context passes"
    " gradients within (-4, 4), as the authors' window of (-1, 1) passes almost"
    " none."
  ),
  rows=(
    Row("float", f"{CONFIG},method=float,epochs=2", FLOAT_RATES),
    Row(
      "float, 4 epochs",
      f"{CONFIG},method=float,epochs=4",
      FLOAT_RATES,
      note="as many steps as a student and its teacher together",
    ),
    Row(
      "linear",
      "configs/fashion_mnist_linear.py:images=50000,epochs=4",
      (1e-3, 3e-3, 1e-2),
    ),
    Row("SAB", STUDENT, RATES, note="BiViT: softmax-aware binarization"),
    Row("Bi-Attention", f"{STUDENT},attention=bibert", RATES),
    Row(
      "ones",
      f"{STUDENT},attention=all_ones",
      RATES,
      note="the baseline of BiBERT, sec. 3: the context is a sum over all tokens",
    ),
    Row(
      "SAB, all at once",
      f"{STUDENT},cross_layer=0",
      RATES,
      note="without cross-layer binarization",
    ),
    Row(
      "SAB, W1A32 in the MLPs",
      f"{STUDENT},mlp=w1a32",
      RATES,
      note="as the paper's default",
    ),
    Row(
      "SAB, the authors' window",
      f"{STUDENT},context=bivit",
      rate_of="SAB",
      note="only zeros of the context pass a gradient",
    ),
  ),
  claims=(
    Claim("SAB beats Bi-Attention", "SAB", "Bi-Attention"),
    Claim("Bi-Attention beats a map of ones", "Bi-Attention", "ones"),
  ),
  also=(
    Claim("SAB beats a map of ones", "SAB", "ones"),
    Claim(
      "cross-layer binarization beats binarizing all at once",
      "SAB",
      "SAB, all at once",
    ),
    Claim(
      "float activations in the MLPs beat 1 bit",
      "SAB, W1A32 in the MLPs",
      "SAB",
    ),
    Claim(
      "a wider window of the context beats the authors'",
      "SAB",
      "SAB, the authors' window",
    ),
    Claim(
      "the float transformer beats the linear model",
      "float, 4 epochs",
      "linear",
    ),
    Claim("the linear model beats BiViT", "linear", "SAB"),
  ),
  notes=(
    "Equal windows are not equal shares: at 17 tokens and random signs, the"
    " window of 4 passes 94 % of the gradient for SAB, 90 % for Bi-Attention and"
    " 67 % for ones; the authors' passes 17, 15 and 0 %.",
  ),
)
