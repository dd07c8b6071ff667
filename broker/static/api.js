"use strict";

// The browser of the OpenAPI document, with nothing from another host.
window.addEventListener("load", () => {
  const place = document.getElementById("api");
  SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    docExpansion: "none",
    validatorUrl: null,
  });
});
