"""The pages of the ML team, in Streamlit. They ask the API through `damageloop_client` and reach nothing else."""
