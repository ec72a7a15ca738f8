package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"time"

	"github.com/patgate/patgate/internal/rest"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file that pages need.
type asset struct {
	body    []byte
	kind    string
	version string // a digest of the body: pages ask for this one
}

// assets are the files by name.
var assets = loadAssets()

func loadAssets() map[string]asset {
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // they are embedded
	}
	all := map[string]asset{}
	for _, f := range files {
		body, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		all[f.Name()] = asset{body, kinds[path.Ext(f.Name())], hex.EncodeToString(sum[:6])}
	}
	return all
}

// assetURL returns where pages find an asset, from the console's root.
func assetURL(name string) string { return "assets/" + name + "?v=" + assets[name].version }

// serveAsset answers with a file. It has no secrets, and is the same for all.
func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("name")]
	if !ok {
		c.refuse(w, r, rest.Refuse(http.StatusNotFound, "there is nothing at this address"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
