"""What `streamlit run` starts; apart from `pages`, which Streamlit would take for pages of its own kind."""

from console.app import main

main()
