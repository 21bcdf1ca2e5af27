"""What `streamrag doctor` checks: everything that an answer depends on. It knows no screen and changes nothing."""
