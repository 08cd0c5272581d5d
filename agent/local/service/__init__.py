"""The service page: bundle, report, stick, another camera or box in a place."""
