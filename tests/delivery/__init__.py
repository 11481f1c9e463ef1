"""Never twice, never lost: counted at the server, whatever fails."""
