package redis

import _ "github.com/redis/go-redis/v9" // until the client below uses it
