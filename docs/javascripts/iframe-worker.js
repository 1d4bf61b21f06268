// Lets the search work in a site that is opened from a disk. Browsers start no worker from a file,
// so a hidden frame takes its place: the same script, the same messages.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => setTimeout(() => this.onmessage?.({ data }));
      const script = inside.document.createElement("script");
      script.src = url;
      script.onload = () => {
        this.postMessage = (data) => setTimeout(() => inside.onmessage({ data }));
        this.waiting.forEach(this.postMessage);
      };
      script.onerror = (event) => this.onerror?.(event);
      inside.document.body.appendChild(script);
    }

    postMessage(data) {
      this.waiting.push(data);
    }

    terminate() {
      this.frame.remove();
    }
  };
}
