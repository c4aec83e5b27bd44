package e2e

import "testing"

// TestAWSActions is TestActions behind API Gateway: the same questions, the same
// answers. Some come by a RouteResponse and some by @connections, in any order.
func TestAWSActions(t *testing.T) {
	t.Parallel()
	secret := writeSecret(t, testSecret)
	t.Run("required", func(t *testing.T) {
		aws := startAccount(t, accountSpec{args: []string{"--jwt-secret-file", secret, "--sqs", "local"}})
		t.Run("tokens", func(t *testing.T) { testConnectAuth(t, aws.agents) })
		t.Run("connections", func(t *testing.T) { testConnections(t, aws.agents, aws.agents) })
		t.Run("notices", func(t *testing.T) { testAWSNotices(t, aws) })
	})
	t.Run("deferred", func(t *testing.T) {
		aws := startAccount(t, accountSpec{args: []string{"--jwt-secret-file", secret, "--connect-auth", "deferred"}})
		testDeferredAuth(t, aws.agents)
	})
}

func testAWSActions(t *testing.T, aws *account) { testActions(t, aws.agents) }
