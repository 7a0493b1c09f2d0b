# What this cluster needs before a run starts; sourced by the batch scripts. Examples:
#   module load cuda
#   source "$HOME/venvs/diffmem/bin/activate"
#   export WANDB_DIR="$SCRATCH/wandb"   (and --wandb.mode=offline in the grid)
