"""Theme, words in English and Chinese, live regions and the few components that several tabs share."""
