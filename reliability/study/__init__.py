"""The seed study's findings as claims over models and recipes, with controls that tell a mechanism from its doubles."""
