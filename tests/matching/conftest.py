"""How much the engine's property tests look at."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "engine", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("engine")
