// Says what a pod has of the role of its ServiceAccount: takes role and token as every AWS SDK takes them, exchanges the
// token at STS, prints who it is then, and waits for its end.
package main

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type answer struct {
	User string `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser>Arn"`
}

func main() {
	if who, err := assume(); err != nil {
		fmt.Println("no credentials:", err)
	} else {
		fmt.Println("credentials of", who)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
}

func assume() (string, error) {
	role, file := os.Getenv("AWS_ROLE_ARN"), os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	if role == "" || file == "" {
		return "", fmt.Errorf("AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE aren't set")
	}
	token, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if parts := strings.Split(string(token), "."); len(parts) == 3 {
		claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
		fmt.Println("token:", string(claims))
	}
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.PostForm(os.Getenv("AWS_ENDPOINT_URL"), url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {role}, "RoleSessionName": {"workload"}, "WebIdentityToken": {string(token)},
	})
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var got answer
	if err := xml.Unmarshal(body, &got); err != nil || got.User == "" {
		return "", fmt.Errorf("%s: %s", response.Status, body)
	}
	return got.User, nil
}
