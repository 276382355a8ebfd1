terraform {
  # From 1.9 on a variable's validation may look at other variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The first one that manages a single tag of a secret (aws_secretsmanager_tag).
      version = ">= 6.28"
    }
  }
}
