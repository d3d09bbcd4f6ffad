"""What a search has proposed and been told: Optuna's study, as a journal in its folder."""
