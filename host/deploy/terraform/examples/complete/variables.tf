variable "region" {
  description = "Where all of it is."
  type        = string
  default     = "eu-west-1"
}

variable "package" {
  description = "What `make lambda` has built."
  type        = string
  default     = "../../../../../target/lambda/x86_64/bootstrap.zip"
}

variable "schedules_enabled" {
  description = "Set it once the secrets have their values."
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "The VPC of database and Redis."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way to the AWS APIs."
  type        = list(string)
}

variable "database_security_group_id" {
  description = "The database's security group."
  type        = string
}

variable "redis_security_group_id" {
  description = "The Redis's security group."
  type        = string
}

variable "mail" {
  description = "Who is told."
  type        = string
}
