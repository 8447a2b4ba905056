"""From Start to the end of a run: what is asked (training_service.py), who waits (queue.py), what starts next
(dispatch.py), and the executors that train (executors/).
"""
