output "function_name" {
  description = "What to invoke."
  value       = module.keyturn.function_name
}

output "secret_arns" {
  description = "Where to put the first values."
  value       = module.keyturn.secret_arns
}
