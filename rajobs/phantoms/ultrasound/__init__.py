"""Drawn power-Doppler scans: tissue layers, vessels, the ultrasound machine and its screen."""
