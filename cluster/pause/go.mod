// The pause program: no dependencies, so no go.sum.
module echoperator/cluster/pause

go 1.24.0
