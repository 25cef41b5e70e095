"""From untrusted bytes to pixels and the numbers read off them; decides nothing."""
