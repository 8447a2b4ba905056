"""Tab 3: recipes, runs, the executors that train them, the recorder that writes down what happens, and the page."""
