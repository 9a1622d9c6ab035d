"""Train and serve Loupe's default inspection model on SageMaker's container contract."""
