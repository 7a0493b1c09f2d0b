# What this cluster needs before a run starts; sourced by the batch scripts. Examples:
#   module load cuda
#   source "$HOME/venvs/diffmem/bin/activate"
