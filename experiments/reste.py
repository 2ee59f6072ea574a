"""ReSTE: how far the power of the estimator should grow."""

from bnnjax.evidence.experiment import LOW_BIT_RATES, Claim, Experiment, Row

CONFIG = "configs/fashion_mnist_resnet.py:images=10000"
POWERS = (1, 2, 3, 5, 10)

EXPERIMENT = Experiment(
  title="ReSTE: error against stability (10,000 training images)",
  paper="ReSTE, Wu et al., ICCV 2023, arXiv:2308.06689",
  claim=(
    "As the final power o grows, the estimating error falls, the gradient gets"
    " less stable, and the accuracy is best in between: o = 3 beats the"
    " straight-through estimator (o = 1) and o = 10"
  ),
  setting=(
    "The network and budget of experiments/ablation.md. The power grows from 1"
    " to o along a quarter of a cosine. Estimating error (eq. 8) and gradient"
    " stability (eq. 9) are those of the last logged step, at the power of that"
    " step; smaller is better for both."
  ),
  rows=(
    Row("float", f"{CONFIG},method=float"),
    *(
      Row(f"o = {o}", f"{CONFIG},method=reste,power={o}", LOW_BIT_RATES)
      for o in POWERS
    ),
    Row("linear", "configs/fashion_mnist_linear.py:images=10000,size=14"),
  ),
  claims=(
    Claim("o = 3 beats o = 1", "o = 3", "o = 1"),
    Claim("o = 3 beats o = 10", "o = 3", "o = 10"),
    Claim(
      "the error falls from o = 1 to 3", "o = 1", "o = 3", "estimating_error"
    ),
    Claim(
      "the error falls from o = 3 to 10", "o = 3", "o = 10", "estimating_error"
    ),
    Claim(
      "the variance of the gradient grows from o = 1 to 3",
      "o = 3",
      "o = 1",
      "gradient_variance",
      log=True,
    ),
    Claim(
      "the variance of the gradient grows from o = 3 to 10",
      "o = 10",
      "o = 3",
      "gradient_variance",
      log=True,
    ),
  ),
  notes=(
    "A larger power brings the estimator nearer to the sign by its definition, so"
    " that the error falls is a check and no discovery. Rows have the rate that is"
    " best for their accuracy, so error and gradient are compared at different"
    " rates where the table says so.",
  ),
)
