"""Everything about words: the teacher that writes them, the parser that reads them, what an audit finds."""
