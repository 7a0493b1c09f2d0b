"""The diffusion process: schedule, objective, sampling, and the scores that are known in closed form."""
