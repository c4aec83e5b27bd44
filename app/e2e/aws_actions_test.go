package e2e

import "testing"

// TestAWSActions is TestActions behind API Gateway: the same questions, the same
// answers. Some come by a RouteResponse and some by @connections, in any order.
func TestAWSActions(t *testing.T) {
	t.Parallel()
	secret := writeSecret(t, testSecret)
	required := startAccount(t, accountSpec{args: []string{"--jwt-secret-file", secret}})
	t.Run("required", func(t *testing.T) { testConnectAuth(t, required.agents) })
	t.Run("connections", func(t *testing.T) { testConnections(t, required.agents, required.agents) })
	deferred := startAccount(t, accountSpec{args: []string{"--jwt-secret-file", secret, "--connect-auth", "deferred"}})
	t.Run("deferred", func(t *testing.T) { testDeferredAuth(t, deferred.agents) })
}

func testAWSActions(t *testing.T, aws *account) { testActions(t, aws.agents) }
