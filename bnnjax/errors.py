"""The one type of error that is meant for users."""


class UserError(ValueError):
  """What a user can mend; says what was wrong, was got, and would be right."""
