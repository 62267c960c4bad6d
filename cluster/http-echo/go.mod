// http-echo, the server that examples/webecho runs, in a module of its own.
module echoperator/cluster/http-echo

go 1.26.0

tool github.com/hashicorp/http-echo

require github.com/hashicorp/http-echo v1.0.0 // indirect
