"""Label Studio's ML backend: answers the pre-annotations of tasks that are opened without one."""
