// Package browser clicks through the console in a real Chromium, as people use
// it: with a mouse, by keyboard, on a phone, without scripts, on every store. It
// is a module of its own, so that patgate's has nothing of the browser's.
package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "the directory that keeps screenshots; default: a temporary one, which is printed and stays")

// plainHost is a name of this machine that Chromium doesn't take for its own.
const plainHost = "tokens.test"

// patience bounds every wait for a condition. Only a failure takes so long.
const patience = 45 * time.Second

var (
	binary   string          // the built patgate
	chromium context.Context // the running browser
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "patgate-browser")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "patgate")
	build := exec.Command("go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", binary, "./cmd/patgate")
	build.Dir = "../.."
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 1, fmt.Errorf("building patgate: %w", err)
	}
	if *shots == "" {
		if *shots, err = os.MkdirTemp("", "patgate-shots"); err != nil {
			return 1, err
		}
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		return 1, err
	}
	fmt.Println("screenshots are in", *shots)

	allocator, end := chromedp.NewExecAllocator(context.Background(),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("host-resolver-rules", "MAP "+plainHost+" 127.0.0.1"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(patience))
	defer end()
	var quit context.CancelFunc
	chromium, quit = chromedp.NewContext(allocator)
	defer quit() // waits until Chromium has ended
	if err := chromedp.Do(chromium); err != nil {
		return 1, fmt.Errorf("starting Chromium (apt-get install chromium): %w", err)
	}
	return m.Run(), nil
}
