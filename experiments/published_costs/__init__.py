"""Published costs against ours: `python -m experiments.published_costs`."""
