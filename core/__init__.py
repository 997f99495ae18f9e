"""Winnow's engine: tell hard positives from noisy ones, retrain on what remains. Never imports streamlit, app or pages."""
