"""Drawn power-Doppler scans: layers, vessels, the machine and its screen."""
