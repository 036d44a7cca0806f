"""Extensions of the training engine."""
