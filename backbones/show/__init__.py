"""What a learner sees: figures, their colours, the quiz, the progress page."""
