"""The enumerable shop: so small that every sum over thoughts, lists and items can be carried out. Our choice; it is the
worked example of the chapters on beams, GRPO, R-GRPO and the loop, and the referee of their estimators."""
