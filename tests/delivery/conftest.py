"""A fixture for the tests here that start many processes."""

from unmeasured import unmeasured as unmeasured
