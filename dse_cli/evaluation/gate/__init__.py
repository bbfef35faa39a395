"""The gate as pure functions: verdict, guards, non-inferiority, and what is compared per row."""
