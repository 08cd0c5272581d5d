"""The board under the agent. Knows nothing of the agent."""
