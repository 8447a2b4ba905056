"""What a person keeps of the chat: conversations with their images, votes, and lists of prompts with their answers."""
