"""What `ccr doctor` looks at, one module for each subject: each gives findings. Nothing here writes or prints."""
