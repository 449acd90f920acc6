"""Gemini's generateContent, at Google's API and at Vertex AI."""
