"""The code under check: two models, a descent step, real data and a catalogue of bugs."""
