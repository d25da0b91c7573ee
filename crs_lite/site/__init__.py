"""From notebooks to pages: papermill, Jupyter Book, the copies for class and Colab."""
